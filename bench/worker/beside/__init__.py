"""What carries out the units of measurements that are not timed cell by cell."""

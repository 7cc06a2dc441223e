"""A worker without torch that speaks the protocol: blocks take milliseconds, faults come by lot."""

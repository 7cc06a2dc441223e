"""Problems of several tasks on one body: models, losses and data, as ``--model`` names them."""

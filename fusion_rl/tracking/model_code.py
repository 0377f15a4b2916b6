"""What MLflow stores with a model and runs to load it: code rather than a pickled class.

Never imported: MLflow runs it as a file, and ``set_model`` has no effect elsewhere.
"""

from mlflow.models import set_model

from fusion_rl.tracking.pyfunc import SB3Policy

set_model(SB3Policy())

"""The run log: what a run was, what it measured, what it made. The only package that imports mlflow."""

import os

# MLflow reports usage to its makers unless told not to. A workbench does not do that behind its users'
# backs; whoever wants it sets the variable to "false".
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

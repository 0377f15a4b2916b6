"""The kernels. Each module is one small decision; `orchestrator` alone changes a lane's state."""

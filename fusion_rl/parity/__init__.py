"""Our simulator beside others: their request streams and rules, our kernels, decision by decision."""

"""Who runs a program: a worker that batches rows of many segments and requests, and the executors that own workers."""

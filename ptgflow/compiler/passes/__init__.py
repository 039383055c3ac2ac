"""One pass a file; `ptgflow.compiler.driver.PASSES` is their order."""

"""The methods, one folder a paradigm. Reading the tables imports no torch; implementations load when a program runs."""

if __name__ != "ptgflow.stages":
    raise ImportError(f"import this package as 'ptgflow.stages', not {__name__!r}")

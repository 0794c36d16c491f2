from tests.bench.report.html.conftest import run_measured

__all__ = ["run_measured"]

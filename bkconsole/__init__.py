"""The console: both ends of the backup system on one screen."""


def main() -> int:
    """The program bkconsole."""
    from bkconsole.main import main as run

    return run()

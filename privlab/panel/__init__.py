"""The only widgets in the package."""

from privlab.panel.panel import Panel

__all__ = ["Panel"]

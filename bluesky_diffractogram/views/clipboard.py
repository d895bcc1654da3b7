"""What a person has copied, as far as the window's toolkit tells."""

from __future__ import annotations

from typing import Any


def clipboard_text(canvas: Any) -> str:
    """The text in the clipboard of a Qt or Tk window; empty with other toolkits: a browser keeps it for itself."""
    framework = getattr(canvas, "required_interactive_framework", None)
    if framework == "qt":
        from matplotlib.backends import qt_compat

        widgets: Any = qt_compat.QtWidgets  # type: ignore[attr-defined]
        return str(widgets.QApplication.clipboard().text())
    if framework == "tk":
        import tkinter

        try:
            return str(canvas.get_tk_widget().clipboard_get())
        except tkinter.TclError:  # there is nothing, or no text
            return ""
    return ""

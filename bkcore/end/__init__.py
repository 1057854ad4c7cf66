"""Ends as a console, a script or an agent sees them: values, actions, and the End interface."""

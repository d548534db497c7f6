"""Widgets that more than one screen uses: charts, gauges, form rows, logs."""

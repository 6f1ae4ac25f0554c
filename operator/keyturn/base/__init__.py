"""The floor everything stands on: clock, errors, durations, settings, log output, metrics. Imports nothing of ours."""

"""Overlays, study reports, the worklist and the audit report. Knows neither TensorFlow nor DICOM."""

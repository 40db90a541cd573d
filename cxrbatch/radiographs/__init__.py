"""From the bytes of one file to a display-oriented grey image, DICOM, PNG and JPEG alike."""

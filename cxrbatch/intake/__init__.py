"""From folders to studies: what each file is, and whether it is a chest radiograph to score."""

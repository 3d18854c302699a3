"""From DICOM to the target lesion's slices."""

"""A diagnosis in the formats that clinics file: FHIR R4 and DICOM."""

"""Synthetic dermoscopy: plausible lesions of the paper's three classes, different in each clinic."""

from simulation.synthetic.clinics import DEFAULT_CLINICS as DEFAULT_CLINICS
from simulation.synthetic.clinics import ClinicProfile as ClinicProfile
from simulation.synthetic.contact_sheet import contact_sheet as contact_sheet
from simulation.synthetic.dataset import generate_dataset as generate_dataset

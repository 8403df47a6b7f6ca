"""Secure sums: the server learns the sum of the clinics' vectors, and of no clinic its own.

The protocol is that of Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine
Learning" (CCS 2017, figure 4, with the consistency check against a server that lies), and above 64 clinics
the k-regular graph of Bell et al., "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead" (CCS
2020).

====  ==========================================================  ============================================
step  a clinic sends                                              the server sends to each clinic
====  ==========================================================  ============================================
1     Advert: two fresh keys, signed by its enrolment key         KeyContext, then Cohort: all adverts
1b    Reveal, above 64 clinics, of the first f + 1                Reveals: the seed of the graph
2     DealtShares: of its two secrets, sealed for their holders   DeliveredShares: those that are meant for it
3     MaskedVector                                                Survivors: who sent one
4     SignedSurvivors: its signature of that list                 Signatures: of at least the threshold
5     ReleasedShares: of each peer one secret, never both
====  ==========================================================  ============================================

``clinic_side`` and ``server_side`` are the two state machines, without any network. What a clinic approved
is in ``terms``; that it signs one list a round, ever, in ``sum_log``.
"""

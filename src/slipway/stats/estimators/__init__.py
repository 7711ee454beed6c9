"""More from few examples: estimates of a mean that use what else is known, behind one protocol (`protocol`).

All honour groups, and end in the gate's bound (`means`) of an estimate that is linear only to first order. So they are
for reading; the gate does not ask them. Repeats alone are exact. Why: docs/design/028-estimators.md.
"""

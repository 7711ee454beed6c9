"""More from few examples: estimates of a mean that use what else is known, behind one protocol (`protocol`).

All honour groups, and all end in the same bound as the gate's (`means`), of an estimate that is linear only to first
order. So they are for reports and plans; the gate does not ask them. `docs/design/028-estimators.md` says why.
"""

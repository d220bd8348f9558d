import hypothesis, os
from hypothesis import strategies as st
from tests import generators, oracle as oracles
from pgcellar.notebook import lineage
from collections import Counter
C=Counter()
def shown(o): return ([(r.command,r.columns,sorted(map(repr,r.rows))) for r in o.results],o.notices,o.error)
@hypothesis.settings(deadline=None,max_examples=int(os.environ["EX"]),suppress_health_check=list(hypothesis.HealthCheck),print_blob=True,database=None)
@hypothesis.given(nb=generators.notebooks(max_cells=8))
def test_soak(oracle, nb):
    g=lineage.graph(nb.sources); n=len(nb.cells)
    b=oracle.evaluate(nb.sources).cells
    for i in range(n):
        aff=lineage.affected(g,i)
        rest=[c for c in range(i+1,n) if c not in aff]
        C['pairs']+=n-1-i; C['free']+=len(rest)
        if not rest: continue
        C['runs']+=1
        a=oracle.evaluate(nb.deleted(i).sources).cells
        for c in range(i+1,n):
            d=shown(b[c])!=shown(a[c-1])
            C['changed' if d else 'same']+=1
            if d and c not in aff: raise AssertionError((i,c,nb.sources,shown(b[c]),shown(a[c-1])))
def test_end(): print(C)

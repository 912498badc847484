ByJd  EE,  55..תרZ.__Z__2D

םJJ7JJ7((M 22@1LL1LLDDüJJ:לBB*P;;IIP++II*++$RR#‏
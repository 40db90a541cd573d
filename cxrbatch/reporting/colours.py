"""The colour map of heat maps, as a table: nothing is imported for it when a report is made.

matplotlib's ``inferno`` (S. van der Walt and N. Smith, 2015, CC0), perceptually uniform: equal steps of
evidence look equal, and brightness rises with them, so that it also reads in grey print. Its darkest
quarter is left out, as black over a film would look like lung.
"""

from __future__ import annotations

COLOUR_MAP = ("inferno", 0.25, 0.98)
"""matplotlib's name of it, and the part of it that is taken."""

INFERNO = bytes.fromhex(
    "57106e57106e59106e5a116e5a116e5c126e5d126e5f136e5f136e61136e62146e64156e64156e65156e67166e67166e"
    "69166e6a176e6c186e6c186e6d186e6f196e71196e71196e721a6e741a6e751b6e751b6e771c6d781c6d781c6d7a1d6d"
    "7c1d6d7d1e6d7d1e6d7f1e6c801f6c82206c82206c84206b85216b87216b87216b88226a8a226a8a226a8c23698d2369"
    "8f24698f24699025689225689326679326679526679727669827669827669a28659b29649b29649d29649f2a63a02a63"
    "a02a63a22b62a32c61a52c60a52c60a62d60a82e5fa92e5ea92e5eab2f5ead305dad305dae305cb0315bb1325ab1325a"
    "b3325ab43359b63458b63458b73557b93556ba3655ba3655bc3754bd3853bd3853bf3952c03a51c13a50c13a50c33b4f"
    "c43c4ec63d4dc63d4dc73e4cc83f4bca404aca404acb4149cc4248cc4248ce4347cf4446d04545d04545d24644d34743"
    "d44842d44842d54a41d74b3fd84c3ed84c3ed94d3dda4e3cda4e3cdb503bdd513ade5238de5238df5337e05536e15635"
    "e15635e25734e35933e45a31e45a31e55c30e65d2fe65d2fe75e2ee8602de9612be9612bea632aeb6429eb6628eb6628"
    "ec6726ed6925ed6925ee6a24ef6c23ef6e21ef6e21f06f20f1711ff1731df1731df2741cf3761bf37819f37819f47918"
    "f57b17f57b17f57d15f67e14f68013f68013f78212f78410f8850ff8850ff8870ef8890cf98b0bf98b0bf98c0af98e09"
    "f98e09fa9008fa9207fa9407fa9407fb9606fb9706fb9906fb9906fb9b06fb9d07fc9f07fc9f07fca108fca309fca309"
    "fca50afca60cfca80dfca80dfcaa0ffcac11fcae12fcae12fcb014fcb216fcb418fcb418fbb61afbb81dfbb81dfbba1f"
    "fbbc21fbbe23fbbe23fac026fac228fac42afac42afac62df9c72ff9c932f9c932f9cb35f8cd37f8cd37f8cf3af7d13d"
    "f7d340f7d340f6d543f6d746f5d949f5d949f5db4cf4dd4ff4df53f4df53f4e156f3e35af3e35af3e55df2e661f2e865"
    "f2e865f2ea69f1ec6df1ed71f1ed71f1ef75f1f179f2f27df2f27df2f482f3f586f3f586f3f68af4f88ef5f992f5f992"
)
"""256 colours, red green blue, weakest evidence first."""

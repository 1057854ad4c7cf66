"""The wire: every call and answer of an End as JSON lines of at most 1 MiB, and an End that speaks it.

A greeting comes first, then calls with numbers, and answers that carry them:

    < {"bk":1, "now":…, "about":{"name":…, "role":…, "rights":…, "verbs":[…]}}
    > {"id":7, "call":"nodes", "args":{"under":"web1", "page":{"cursor":null, "limit":200}}}
    < {"id":7, "page":{"rows":[…], "as_of":…, "cursor":"200", "total":4000}}
    < {"id":7, "result":{…}}
    < {"id":8, "changed":{…}}  {"id":8, "bytes":"…"}  {"id":8, "end":true}      answers that come piece by piece
    < {"id":9, "error":{"exit":6, "code":…, "text":…, "hint":…, "transient":false}}
    > {"cancel":8}

Fields that are not known are ignored; a call that is not known, and a line that is none, is answered with an error.
"""

from bkcore.end.wire.far import FarEnd
from bkcore.end.wire.near import Session
from bkcore.end.wire.within import WireEnd

__all__ = ["FarEnd", "Session", "WireEnd"]

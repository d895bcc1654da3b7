"""Which events of a stream never came: 0MQ drops what a slow reader does not take, without a word."""

from __future__ import annotations

from bisect import bisect_right


class SeenSeqNums:
    """The seq_nums that came, in the spans without gaps that they form."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, seq_num: int) -> None:
        """Note one; again, after a rewind, makes no difference."""
        at = bisect_right(self._firsts, seq_num) - 1
        if at >= 0 and seq_num <= self._lasts[at]:
            return
        if at >= 0 and seq_num == self._lasts[at] + 1:
            self._lasts[at] = seq_num
        else:
            at += 1
            self._firsts.insert(at, seq_num)
            self._lasts.insert(at, seq_num)
        if at + 1 < len(self._firsts) and self._firsts[at + 1] == seq_num + 1:
            self._lasts[at] = self._lasts.pop(at + 1)
            del self._firsts[at + 1]

    @property
    def last(self) -> int:
        """The highest; 0 if none came."""
        return self._lasts[-1] if self._lasts else 0

    def missing(self, announced: int) -> int:
        """How many of 1 to `announced`, or to the highest that came, did not come."""
        spans = zip(self._firsts, self._lasts, strict=True)
        return max(announced, self.last) - sum(last - max(first, 1) + 1 for first, last in spans if last >= 1)

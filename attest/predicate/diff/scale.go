package diff

import "strings"

const unknownValue = "not a known value, which counts as the worst"

// scale orders the values of an enumeration from good to bad for the buyer. It
// is written as it is documented: "optIn = eachUse < contract < optOut | none".
// Values joined by "=" are as good as each other. Values joined by "|" are not
// ordered: a change from one to the other is widening. A value that the scale
// does not have is worse than all.
type scale struct {
	order     string
	rank      map[string]int
	unordered map[int]bool
}

func newScale(order string) scale {
	s := scale{order: order, rank: map[string]int{}, unordered: map[int]bool{}}
	for rank, group := range strings.Split(order, " < ") {
		separator := " = "
		if strings.Contains(group, " | ") {
			separator = " | "
			s.unordered[rank] = true
		}
		for _, value := range strings.Split(group, separator) {
			s.rank[value] = rank
		}
	}
	return s
}

// compare tells the direction of a change from one value to another one.
func (s scale) compare(was, is string) (Direction, string) {
	old, known := s.rank[was]
	now, knows := s.rank[is]
	switch {
	case !knows && is == "":
		return Widening, "not stated, which counts as the worst"
	case !knows:
		return Widening, unknownValue
	case !known && was == "":
		return Narrowing, "was not stated, which counts as the worst"
	case !known:
		return Narrowing, "was not a known value, which counts as the worst"
	case now > old:
		return Widening, "worse in the order " + s.order
	case now < old:
		return Narrowing, "better in the order " + s.order
	case s.unordered[now]:
		return Widening, "neither better nor worse in the order " + s.order + ", so it counts as worse"
	}
	return Neutral, "as good in the order " + s.order
}

package policy

import "strings"

// suggest returns a hint with the name that was probably meant, or with all
// names if there are few.
func suggest(got string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		if strings.EqualFold(name, got) {
			best = name
			break
		}
		if d := distance(strings.ToLower(got), strings.ToLower(name)); d < least && d < len(name)/2+1 {
			best, least = name, d
		}
	}
	switch {
	case best != "":
		return "did you mean " + best + "?"
	case len(names) > 0 && len(names) <= 16:
		return "one of: " + strings.Join(names, ", ")
	}
	return ""
}

// distance is the Levenshtein distance of two short names.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

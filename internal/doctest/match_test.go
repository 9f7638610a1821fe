package doctest

import "strings"

const anything = "…"

// outputLines splits what a program printed, without trailing space and without empty lines at the end.
func outputLines(output string) []string {
	lines := strings.Split(output, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// matchLine reports whether a line is as documented. "…" in want stands for any text, the empty one included.
func matchLine(want, got string) bool {
	parts := strings.Split(want, anything)
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return want == got
	}
	if len(got) < len(first)+len(last) || !strings.HasPrefix(got, first) || !strings.HasSuffix(got, last) {
		return false
	}
	rest := got[len(first) : len(got)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return true
}

// alignment tells for every pair of suffixes of want and got how many lines differ at least; [0][0] is 0 if all is as documented.
func alignment(want, got []string) [][]int {
	cost := make([][]int, len(want)+1)
	for i := range cost {
		cost[i] = make([]int, len(got)+1)
	}
	for i := len(want); i >= 0; i-- {
		for j := len(got); j >= 0; j-- {
			switch {
			case i == len(want):
				cost[i][j] = len(got) - j
			case want[i] == anything && j < len(got):
				cost[i][j] = min(cost[i][j+1], cost[i+1][j])
			case want[i] == anything:
				cost[i][j] = cost[i+1][j]
			case j == len(got):
				cost[i][j] = 1 + cost[i+1][j]
			case matchLine(want[i], got[j]):
				cost[i][j] = cost[i+1][j+1]
			default:
				cost[i][j] = 1 + min(cost[i+1][j], cost[i][j+1])
			}
		}
	}
	return cost
}

// diff is empty if got is as documented. Otherwise lines with "-" are documented and missing, lines with "+" came unannounced.
func diff(want, got []string) string {
	cost := alignment(want, got)
	if cost[0][0] == 0 {
		return ""
	}
	var out strings.Builder
	write := func(mark, line string) { out.WriteString(mark + line + "\n") }
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && want[i] == anything && cost[i][j] == cost[i+1][j]:
			i++
		case i < len(want) && want[i] == anything, // then a line of got is what "…" stands for
			i < len(want) && j < len(got) && matchLine(want[i], got[j]):
			write("  ", got[j])
			if want[i] != anything {
				i++
			}
			j++
		case i < len(want) && cost[i][j] == 1+cost[i+1][j]:
			write("- ", want[i])
			i++
		default:
			write("+ ", got[j])
			j++
		}
	}
	return out.String()
}

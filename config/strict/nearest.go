package strict

import "strings"

// nearest returns the name that a misspelled word most likely means.
func nearest(word string, names []string) (string, bool) {
	word = strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	best, least := "", len(word)/3+1
	for _, name := range names {
		if d := distance(word, strings.ReplaceAll(name, "-", "_"), least); d < least {
			best, least = name, d
		}
	}
	return best, best != ""
}

// distance counts the letters to change, add or remove to get from a to b (Levenshtein).
// From limit on it does not matter how many.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

package bench

import (
	"math"
	"slices"
)

// median returns the median of numbers, which must not be empty.
func median(numbers []float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile returns the smallest number that is not exceeded by p percent of numbers, which must
// not be empty.
func percentile(numbers []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

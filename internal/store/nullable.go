package store

// OrNil returns a pointer to a value, or nil if it is the zero value. Queries take and return
// values that may be NULL as pointers; in Go, and in queries that use coalesce, the zero value
// stands for a missing one.
func OrNil[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

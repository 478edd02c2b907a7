package api

// Routes lets a test compare the routes with the document.
func Routes() (all []struct {
	Method, Path string
	Params       []string
}) {
	for _, r := range routes {
		all = append(all, struct {
			Method, Path string
			Params       []string
		}{r.method, r.path, r.params})
	}
	return all
}

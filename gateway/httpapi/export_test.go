package httpapi

// Routes are the patterns of all paths.
func Routes(config Config) (patterns []string) {
	a := &api{Config: config.withDefaults()}
	for pattern := range a.routes() {
		patterns = append(patterns, pattern)
	}
	return patterns
}

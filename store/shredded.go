package store

// shreddedMember is the name under which encoded data hold the paths of what was
// forgotten.
const shreddedMember = "annals:shredded"

// ShreddedIn returns the paths of the personal values that were left out of data
// because they were forgotten, for those who show data without knowing their type;
// nil if there are none. The data may come from anywhere.
func ShreddedIn(codec Codec, data []byte) []string {
	c, err := newCursor(codec, data)
	if err != nil || c.kind() != kindMap {
		return nil
	}
	var paths []string
	_, err = c.entries(func(e item) error {
		if string(e.name) == shreddedMember {
			paths = shreddedPaths(c)
		} else {
			c.skip()
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return paths
}

// shreddedPaths goes past a list of paths; what is none is passed over.
func shreddedPaths(c cursor) (paths []string) {
	if c.kind() != kindList {
		c.skip()
		return nil
	}
	_, _ = c.entries(func(item) error { // which has no error of its own
		if text, ok := c.scalar(); ok {
			paths = append(paths, text)
		}
		return nil
	})
	return paths
}

package store

// MaxNameBytes is the length of the longest wire name.
const MaxNameBytes = 64

// ValidateName reports whether name may be a wire name: of an aggregate type, a
// command, an event or a view. Wire names are permanent: a lower case letter,
// then lower case letters, digits and hyphens, at most [MaxNameBytes]. what
// says in the error, an [*InvalidError], what the name was meant for.
func ValidateName(what, name string) error {
	if reason := faultOfName(name); reason != "" {
		return &InvalidError{What: what, Value: name, Reason: reason}
	}
	return nil
}

func faultOfName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > MaxNameBytes:
		return "it is longer than 64 bytes"
	case name[0] < 'a' || name[0] > 'z':
		return "it does not begin with a lower case letter"
	}
	for i := range len(name) {
		b := name[i]
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' {
			return "it has other characters than lower case letters, digits and hyphens"
		}
	}
	return ""
}

package store

import "strings"

// reservedPrefix begins the types of the streams that the system keeps about itself.
const reservedPrefix = "annals-"

// IsReserved reports whether an aggregate type is one of the system's own: no
// application has one, no actor runs it, and whoever counts or checks what an application has
// stored passes over it.
func IsReserved(aggregate string) bool { return strings.HasPrefix(aggregate, reservedPrefix) }

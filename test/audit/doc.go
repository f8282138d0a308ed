// Command audit looks at what this module is made of: the modules that its packages
// are built from on each system, that their sources are those of go.sum, under which
// licences they stand, and whether vulnerabilities are known that its code reaches.
//
//	go run ./test/audit
//
// It prints a table of modules, writes a bill of materials in the form of CycloneDX
// 1.6, and ends with one line of JSON: {"modules":…,"licences":{…},"refused":0,…}. The
// exit status is 1 if a module has a licence that is not allowed here, or none that is
// known, if a source differs from its checksum, or if a vulnerability is reached. Where
// no database of vulnerabilities can be had, it says loudly that this was not tried, and
// passes without; -require-vulnerabilities makes that a failure.
//
// It owns the list of licences that are allowed. It never changes go.mod, and it builds
// nothing of what it looks at.
package main

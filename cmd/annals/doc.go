// Command annals is the stock binary: the commands of package cmd/node without
// an application in it.
//
// Its operator commands work on any running system; name the namespace:
//
//	annals --ns loans aggregate history application 42
//	annals --ns loans event tail -f
//
// It owns nothing but its name. An application's own binary has the same
// commands, and its namespace by default.
package main

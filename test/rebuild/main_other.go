//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "rebuild: needs Linux: its nodes and servers are to die with it")
	os.Exit(2)
}

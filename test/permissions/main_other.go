//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "permissions: needs Linux: its processes are to die with it")
	os.Exit(2)
}

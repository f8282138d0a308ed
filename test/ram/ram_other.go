//go:build !linux

package ram

// Use reports false: this system is not known to have a file system in memory.
func Use() bool { return false }

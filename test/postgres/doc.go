// Package postgres finds an installed PostgreSQL and runs servers of it for
// tests, each with data of its own in a temporary directory, reached through a
// socket in that directory.
//
// It owns the servers that it started, and ends no others. It never installs
// anything, and it has no part in the product.
//
// A test package whose tests need a server says so in TestMain, and each test
// asks for it:
//
//	func TestMain(m *testing.M) { os.Exit(postgres.Tests(m).Run()) }
//
//	func TestSomething(t *testing.T) {
//		url := postgres.Shared(t).URL()
//	}
package postgres

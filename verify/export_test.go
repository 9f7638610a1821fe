package verify

// CheckTokenForm opens checkTokenForm to the tests.
func CheckTokenForm(response []byte) error { return checkTokenForm(response) }

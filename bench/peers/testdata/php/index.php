<?php
header("Content-Type: text/plain");
switch (strtok($_SERVER["REQUEST_URI"], "?")) {
case "/":
	$body = "Hello, world!\n";
	break;
case "/64k":
	$body = str_repeat("x", 64 << 10);
	break;
case "/1m":
	$body = str_repeat("x", 1 << 20);
	break;
case "/upload":
	$length = 0;
	$input = fopen("php://input", "r");
	while (!feof($input)) {
		$length += strlen(fread($input, 64 << 10));
	}
	$body = "$length\n";
	break;
default:
	http_response_code(404);
	$body = "not found\n";
}
header("Content-Length: " . strlen($body));
echo $body;

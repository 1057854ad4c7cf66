"""Real applications, set up small: servers of databases on sockets of their own, a wiki, a site, a tracker."""

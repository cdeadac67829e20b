<?php
// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
//
// Runs Roundcube's password driver as its plugin does:
//   php roundcube_password.php DRIVER HOST PORT, and on standard input: account, old and new password, a line each
// Prints the name of what the driver returned. What stands here of Roundcube is only what the driver asks of it.

error_reporting(E_ALL & ~E_WARNING); // the driver parses bad answers with warnings, which Roundcube only logs

define('PASSWORD_CRYPT_ERROR', 1);
define('PASSWORD_ERROR', 2);
define('PASSWORD_CONNECT_ERROR', 3);
define('PASSWORD_IN_HISTORY', 4);
define('PASSWORD_CONSTRAINT_VIOLATION', 5);
define('PASSWORD_COMPARE_CURRENT', 6);
define('PASSWORD_COMPARE_NEW', 7);
define('PASSWORD_SUCCESS', 0);

class rcube_config
{
    public $values;

    function get($name, $default = null)
    {
        return isset($this->values[$name]) ? $this->values[$name] : $default;
    }
}

class rcmail
{
    public $config;
    private static $instance;

    static function get_instance()
    {
        if (self::$instance === null) {
            self::$instance = new rcmail();
            self::$instance->config = new rcube_config();
        }
        return self::$instance;
    }
}

list(, $driver, $host, $port) = $argv;
rcmail::get_instance()->config->values = ['password_ximss_host' => $host, 'password_ximss_port' => $port];
list($account, $old, $new) = explode("\n", stream_get_contents(STDIN));
require $driver;
$plugin = new rcube_ximss_password();
$names = [
    PASSWORD_SUCCESS => 'success', PASSWORD_ERROR => 'error', PASSWORD_CONNECT_ERROR => 'connect error',
];
echo $names[$plugin->save($old, $new, $account)], "\n";

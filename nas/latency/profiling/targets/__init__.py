"""Where models are timed: this machine, a board over ssh, a phone over adb."""

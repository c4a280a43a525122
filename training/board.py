def write_board(*a):
    pass
